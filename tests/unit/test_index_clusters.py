"""Clusters of a snapshot's passages: the same every time, described by the library alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.clusters import cluster_corpus
from index.dense import k_means
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_document, tiny_passages, write_tiny_snapshot

SUBJECTS = ("methadone tablets dose", "naloxone overdose spray", "withdrawal sweating yawning")


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    """Open a library of three subjects, twelve passages each."""
    documents = [
        tiny_document(f"{subject.split()[0]}.md", subject.title(), {"About": [f"{subject} {i}." for i in range(12)]})
        for subject in SUBJECTS
    ]
    write_tiny_snapshot(IndexDir(tmp_path), tuple((document, tiny_passages(document)) for document in documents))
    with open_snapshot(IndexDir(tmp_path)) as opened:
        yield opened


def test_subjects_fall_apart(snapshot: Snapshot) -> None:
    """This ensures that each subject is a cluster, that a question lands in its own, and that titles say which."""
    clusters = cluster_corpus(snapshot)

    questions = HashingEmbedder().encode_queries([f"tell me of {subject}" for subject in SUBJECTS])
    landed = [clusters.nearest(question) for question in questions]
    assert sorted(landed) == [0, 1, 2]
    for subject, i in zip(SUBJECTS, landed, strict=True):
        cluster = clusters.clusters[i]
        assert cluster.documents == ((f"{subject.split()[0]}.md", subject.title()),)
        assert (cluster.n_passages, cluster.headings) == (12, ("About",))


def test_clusters_are_the_same_every_time(snapshot: Snapshot) -> None:
    """This ensures that every serving process counts into the same clusters."""
    first, second = cluster_corpus(snapshot), cluster_corpus(snapshot)

    assert np.array_equal(first.centres, second.centres)
    assert first.clusters == second.clusters
    assert sum(cluster.n_passages for cluster in first.clusters) == snapshot.dense.n


def test_single_passage_is_a_cluster(tmp_path: Path) -> None:
    """This ensures that the smallest library works."""
    document = tiny_document("a.md", "Only", {"One": ["A single passage."]})
    write_tiny_snapshot(IndexDir(tmp_path), ((document, tiny_passages(document)),))

    with open_snapshot(IndexDir(tmp_path)) as opened:
        clusters = cluster_corpus(opened)

    assert [cluster.n_passages for cluster in clusters.clusters] == [1]


def test_empty_library_has_no_cluster(tmp_path: Path) -> None:
    """This ensures that a library without passages is no error."""
    write_tiny_snapshot(IndexDir(tmp_path), ())

    with open_snapshot(IndexDir(tmp_path)) as opened:
        clusters = cluster_corpus(opened)

    assert clusters.clusters == ()


def test_equal_vectors_make_no_noise(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that FAISS neither complains nor fails on vectors that are all the same."""
    vectors = np.tile(np.eye(1, 8, dtype=np.float32), (5, 1))

    centres = k_means(vectors, 3, seed=1)

    assert centres.shape == (3, 8)
    assert np.isfinite(centres).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n_clusters", [0, 6])
def test_more_clusters_than_vectors_are_refused(n_clusters: int) -> None:
    """This ensures that FAISS's own assertion is never met."""
    with pytest.raises(ValueError, match="clusters of 5 vectors"):
        k_means(np.zeros((5, 8), np.float32), n_clusters, seed=1)
