"""Settings: where they come from, which wins, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.environment import load_settings
from service.errors import SettingsInvalid
from service.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CITEWELL_{name.upper()}", raising=False)
    monkeypatch.delenv("CITEWELL_SETTINGS_FILE", raising=False)


def test_defaults_serve_this_machine_alone() -> None:
    """This ensures that nothing set means: local address, no other site, the default folders."""
    settings = load_settings()

    assert (settings.host, settings.port, settings.cors_origins) == ("127.0.0.1", 8000, ())
    assert settings.index_dir == Path("var/index")


def test_later_sources_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that the command line beats the environment, which beats the file, which beats the default."""
    Path("citewell.toml").write_text('port = 1\nhost = "0.0.0.0"\nmax_top_k = 7\n')
    monkeypatch.setenv("CITEWELL_PORT", "2")
    monkeypatch.setenv("CITEWELL_MAX_TOP_K", "8")

    settings = load_settings({"port": 3, "host": None})

    assert (settings.port, settings.max_top_k, settings.host) == (3, 8, "0.0.0.0")


def test_settings_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This ensures that CITEWELL_SETTINGS_FILE replaces citewell.toml of the working directory."""
    Path("citewell.toml").write_text("port = 1\n")
    (tmp_path / "other.toml").write_text("port = 5\n")
    monkeypatch.setenv("CITEWELL_SETTINGS_FILE", str(tmp_path / "other.toml"))

    assert load_settings().port == 5


def test_origins_are_a_list_in_the_file_and_commas_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a list can be written in both places, and is compared in lower case."""
    Path("citewell.toml").write_text('cors_origins = ["https://A.example"]\n')
    from_file = load_settings().cors_origins
    monkeypatch.setenv("CITEWELL_CORS_ORIGINS", "https://a.example, http://b.example:81")

    assert from_file == ("https://a.example",)
    assert load_settings().cors_origins == ("https://a.example", "http://b.example:81")


def test_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that CITEWELL_INDEX_DIR= does not make the working directory the index."""
    monkeypatch.setenv("CITEWELL_INDEX_DIR", "")

    assert load_settings().index_dir == Path("var/index")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "eighty"),
        ("port", "70000"),
        ("max_top_k", "0"),
        ("min_confidence", "1.5"),
        ("min_confidence", "nan"),
        ("cors_origins", "example.org"),
        ("cors_origins", "https://example.org/path"),
        ("log_level", "loud"),
        ("prefer_source_types", "government, blog"),
        ("model_languages", "english"),
        ("dense_index", "IVF256,PQ48"),
        ("dense_index", "ivf256,sq8"),
        ("refresh_s", "0"),
        ("workers", "0"),
        ("docs_public_url", "javascript:alert(1)"),
    ],
)
def test_wrong_value_is_named_with_its_field(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """This ensures that a wrong value names the variable, the value and what the setting is for."""
    monkeypatch.setenv(f"CITEWELL_{name.upper()}", value)

    with pytest.raises(SettingsInvalid) as caught:
        load_settings()

    assert caught.value.where == f"environment, CITEWELL_{name.upper()}"
    assert value in caught.value.what
    assert name in caught.value.fix


def test_an_unknown_dense_index_is_refused_with_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a name that FAISS does not know stops the start, not a build half-way."""
    monkeypatch.setenv("CITEWELL_DENSE_INDEX", "IVF256,SQ9")

    with pytest.raises(SettingsInvalid, match="'IVF256,SQ9' does not fit") as caught:
        load_settings()

    assert '"IVF256,SQ8" or "HNSW32,SQ8"' in caught.value.what
    assert "IVF1 to IVF65536" in caught.value.what


def test_wrong_value_on_the_command_line_names_the_option() -> None:
    """This ensures that the place that is named is the one where the value was given."""
    with pytest.raises(SettingsInvalid, match="command line, --min-confidence"):
        load_settings({"min_confidence": 2.0})


def test_empty_path_in_the_file_is_refused() -> None:
    """This ensures that index_dir = "" is not taken for the working directory."""
    Path("citewell.toml").write_text('index_dir = ""\n')

    with pytest.raises(SettingsInvalid, match="index_dir"):
        load_settings()


def test_unknown_name_in_the_file_suggests_the_near_one() -> None:
    """This ensures that a slip in the settings file is refused with the name that was meant."""
    Path("citewell.toml").write_text('indexdir = "x"\n')

    with pytest.raises(SettingsInvalid, match=r"citewell\.toml, indexdir: .*did you mean index_dir"):
        load_settings()


def test_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a CITEWELL_ variable that nothing reads does not pass in silence."""
    monkeypatch.setenv("CITEWELL_PROT", "1")

    with pytest.raises(SettingsInvalid, match="did you mean CITEWELL_PORT"):
        load_settings()


@pytest.mark.parametrize("content", [b"port = \n", b"\xff\xfe", b"port = 1\nport = 2\n"])
def test_broken_settings_file_is_named(content: bytes) -> None:
    """This ensures that a file that is no TOML is an error with its name, not a crash."""
    Path("citewell.toml").write_bytes(content)

    with pytest.raises(SettingsInvalid, match=r"citewell\.toml"):
        load_settings()


def test_named_settings_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a named file that is not there is an error, although the default one is optional."""
    monkeypatch.setenv("CITEWELL_SETTINGS_FILE", "absent.toml")

    with pytest.raises(SettingsInvalid, match=r"absent\.toml"):
        load_settings()


def test_settings_that_contradict_each_other_are_refused() -> None:
    """This ensures that a body cap too small for the longest question is refused with both values."""
    with pytest.raises(SettingsInvalid, match=r"max_body_bytes is 1024.*max_question_chars 4000"):
        load_settings({"max_body_bytes": 1024})


def test_every_setting_describes_itself() -> None:
    """This ensures that each setting has a sentence, and a number its unit."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.rstrip().endswith("."), name
        if field.annotation in (int, float) and name != "port":
            assert field.description.rstrip().endswith(").") or "(" in field.description, name


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ({"body_timeout_s": 20.0, "request_timeout_s": 20.0}, ("body_timeout_s", "request_timeout_s")),
        ({"threads": 1, "max_waiting": 500}, ("max_waiting", "threads", "request_timeout_s")),
        ({"max_body_bytes": 2_000, "max_question_chars": 4_000}, ("max_body_bytes", "max_question_chars")),
        ({"cors_origins": "*, https://a.example"}, ("cors_origins", '"*"')),
    ],
)
def test_every_contradiction_names_both_settings(flags: dict[str, object], names: tuple[str, ...]) -> None:
    """This ensures that two settings that can't both hold are named together at the start."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(flags)

    assert all(name in refused.value.what for name in names)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_limit", "sixty a minute"),
        ("rate_limit", "0/minute"),
        ("rate_limit", "5/day"),
        ("rate_limit", "5"),
        ("rate_limit", "100001/hour"),
        ("trusted_proxies", "proxy.example"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "10.0.0.0/33"),
        ("trusted_proxies", "0.0.0.0/0"),
        ("trusted_proxies", "*"),
        ("max_waiting", "-1"),
        ("drain_s", "nan"),
        ("metrics", "perhaps"),
    ],
)
def test_wrong_limit_is_refused_with_its_place(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a malformed limit or proxy is said with the variable and what would fit."""
    monkeypatch.setenv(f"CITEWELL_{name.upper()}", value)

    with pytest.raises(SettingsInvalid) as refused:
        load_settings()

    assert f"CITEWELL_{name.upper()}" in refused.value.where
    assert refused.value.fix.startswith(f"{name}: ")


def test_rates_and_proxies_can_be_written_in_several_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that spaces and capitals are no slip, that "off" is none, and that a single address is a proxy."""
    monkeypatch.setenv("CITEWELL_RATE_LIMIT", "30 / Minute")
    monkeypatch.setenv("CITEWELL_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8, 2001:db8::/32")
    settings = load_settings()
    monkeypatch.setenv("CITEWELL_RATE_LIMIT", "off")

    assert settings.rate_limit == "30/minute"
    assert settings.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32")
    assert load_settings().rate_limit == ""
