"""
The operator's choices: one field each, checked together. Reads nothing; `service/environment.py` finds their values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from index.dense_config import parse_dense_index
from index.encoder import Precision
from index.model_files import DEFAULT_MODEL
from ingest.model import SourceType
from service.setting_kinds import (
    Folder,
    Network,
    Origin,
    RateLimit,
    ServerAddress,
    TokenHashes,
    WebAddress,
    split_commas,
    upper,
)
from service.tokens import parse_token_hash

ENV_PREFIX = "CITEWELL_"
# A long message over a large library on a busy machine; ten times what was measured for the usual question.
_SLOW_ANSWER_S = 0.2


class Settings(BaseSettings):
    """
    All settings, checked and frozen. `Settings()` holds the defaults and nothing else; see `load_settings`.

    Every field says what it does and its unit; the README lists them from here.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, validate_default=True, str_strip_whitespace=True
    )

    index_dir: Folder = Field(
        default=Path("var/index"), description="Folder of the index: snapshots, embedding cache, exported encoders."
    )
    corpus: Folder = Field(default=Path("corpus"), description="Folder of documents that `build` and `lint` read.")
    model: str = Field(
        default=DEFAULT_MODEL,
        min_length=1,
        description="Embedding model: the default's name, a sentence-transformers model folder, or a hub name.",
    )
    model_languages: Annotated[str, Field(pattern=r"^(\*|[A-Za-z]{2,3}(-\w+)*(\s*,\s*[A-Za-z]{2,3}(-\w+)*)*)$")] = (
        Field(
            default="en",
            description='Languages that the model knows, ISO 639 codes such as "en, es"; "*" is all. '
            "A question that is certainly in another one is not answered.",
        )
    )
    query_encoder: Precision = Field(
        default="float32",
        description='How precisely questions are embedded: "int8" takes about half the time and changes some answers.',
    )
    dense_index: Annotated[str, AfterValidator(parse_dense_index)] = Field(
        default="auto",
        description='How a build makes the nearest passages found: "exact"; an index of FAISS such as "PQ192x4fs", '
        '"IVF256,SQ8" or "HNSW32,SQ8"; "auto" is exact up to 30,000 passages.',
    )
    executor: Literal["local", "ray"] = Field(
        default="local",
        description="What does the work of a build: local, the processes of this machine, or ray, tasks on a Ray "
        "cluster; the index is the same.",
    )
    ray_address: str = Field(
        default="",
        description='Running Ray cluster of `executor` ray, such as "10.0.0.5:6379"; unset starts one on this machine '
        "for each build.",
    )
    engine: Literal["local", "milvus"] = Field(
        default="local",
        description='Where a build puts passages and vectors: "local" files of the index folder, or a "milvus" server.',
    )
    milvus_uri: ServerAddress = Field(
        default="http://127.0.0.1:19530",
        description="Address of the Milvus server, with its database as the path if it is not the default one.",
    )
    milvus_token: str = Field(
        default="",
        repr=False,
        description='Token for the Milvus server, or "user:password"; never shown.',
    )
    milvus_timeout_s: float = Field(
        default=5.0,
        ge=0.1,
        le=600.0,
        allow_inf_nan=False,
        description="Time that one call of a question to Milvus may take (seconds).",
    )
    milvus_index: Literal["FLAT", "HNSW", "IVF_SQ8"] = Field(
        default="FLAT",
        description="Milvus's index over the passages' vectors: FLAT is exact, HNSW and IVF_SQ8 are sooner done.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address that `serve` listens on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port that `serve` listens on; 0 takes a free one.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that answer; each holds the index open (count)."
    )
    threads: int = Field(
        default=8, ge=1, le=256, description="Requests answered at the same time in one process; others wait (count)."
    )
    max_waiting: int = Field(
        default=64,
        ge=0,
        le=10_000,
        description="Requests that may wait for a thread in one process; further ones are told to come back (count).",
    )
    rate_limit: RateLimit = Field(
        default="60/minute",
        description='Questions from one address, in each process: "60/minute", "5/second"; "off" sets no limit.',
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split_commas)] = Field(
        default=(),
        description='Proxies whose forwarding headers are believed, such as "10.0.0.0/8"; none by default.',
    )
    body_timeout_s: float = Field(
        default=10.0,
        ge=0.1,
        le=600.0,
        allow_inf_nan=False,
        description="Time in which a request's head, and again its body, must arrive (seconds).",
    )
    request_timeout_s: float = Field(
        default=20.0,
        ge=0.2,
        le=3_600.0,
        allow_inf_nan=False,
        description="Time after which a request that is not answered gets an error (seconds).",
    )
    drain_s: float = Field(
        default=1.0,
        ge=0.0,
        le=600.0,
        allow_inf_nan=False,
        description="Time between turning unready and refusing connections when `serve` is ended (seconds).",
    )
    metrics: bool = Field(
        default=True,
        description="Serve figures for Prometheus at `/metrics`; they hold no question and no address of a client.",
    )
    max_question_chars: int = Field(default=4_000, ge=1, le=800_000, description="Longest question (characters).")
    max_body_bytes: int = Field(default=65_536, ge=1_024, le=10_000_000, description="Largest request body (bytes).")
    max_top_k: int = Field(
        default=20, ge=1, le=1_000, description="Most passages that one question may ask for (count)."
    )
    min_confidence: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        allow_inf_nan=False,
        description="Abstain below this calibrated probability of an answer; 0 always answers, unset takes the "
        "calibration's operating point (0 to 1).",
    )
    calibration: Folder | None = Field(
        default=None,
        description="Calibration file made by `citewell calibrate`; unset takes the one that comes with Citewell.",
    )
    judge: bool = Field(
        default=True,
        description="Whether the judge reads the first passages before it is decided whether they answer.",
    )
    judge_budget_ms: int = Field(
        default=1_000,
        ge=10,
        le=60_000,
        description="Time in which the judge must be through with a question, else it is decided without it "
        "(milliseconds).",
    )
    lexicon: Folder = Field(
        default=Path("corpus/lexicon.toml"),
        description="File of brand, generic and street names; without it they are not understood.",
    )
    notices: Folder = Field(
        default=Path("corpus/notices.toml"),
        description="File of crisis notices; without it nothing is shown to somebody in danger.",
    )
    country: Annotated[str, Field(pattern=r"^([A-Z]{2})?$"), BeforeValidator(upper)] = Field(
        default="",
        description='Country whose numbers notices show, ISO 3166 code such as "US"; unset shows none.',
    )
    notice_language: Literal["en", "es"] = Field(
        default="en", description="Language of notices, en or es, where a question does not show its own."
    )
    prefer_source_types: Annotated[tuple[SourceType, ...], NoDecode, BeforeValidator(split_commas)] = Field(
        default=(),
        description="Kinds of source that come first among passages that fit about as well, best first, such as "
        '"government, peer_reviewed"; none by default.',
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(split_commas)] = Field(
        default=(),
        description='Other sites whose pages may call the API, such as "https://example.org"; none by default.',
    )
    admin_tokens: TokenHashes = Field(
        default=(),
        description="SHA-256 hashes of tokens that may upload, build and roll back, each with its last day behind "
        '"@" if it has one; none: no admin routes. `citewell token` makes one.',
    )
    read_tokens: TokenHashes = Field(
        default=(),
        description="SHA-256 hashes of tokens that may ask and read, like `admin_tokens`; none: everybody may.",
    )
    max_upload_bytes: int = Field(
        default=64_000_000, ge=1_024, le=64_000_000, description="Largest document that can be uploaded (bytes)."
    )
    admin_gate: Folder | None = Field(
        default=None,
        description="File of labelled questions; a build over HTTP is published only if their answers hold the "
        "floors beside it.",
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    ] = Field(default="info", description="Least severe log line that is written: debug, info, warning or error.")
    refresh_s: float = Field(
        default=2.0,
        ge=0.05,
        le=86_400.0,
        allow_inf_nan=False,
        description="Time between two looks for a newly published snapshot (seconds).",
    )
    gap_report: bool = Field(
        default=False,
        description="Count abstentions by part of the library, in memory, and tell them at `/v1/admin/gaps`.",
    )
    gap_report_step: int = Field(
        default=10, ge=10, le=1_000_000, description="Abstentions are told in multiples of this (count, at least 10)."
    )
    gap_report_reset_h: float = Field(
        default=168.0,
        ge=1.0,
        le=8_784.0,
        allow_inf_nan=False,
        description="Time after which abstentions are counted from 0 again (hours).",
    )
    docs_public_url: WebAddress = Field(
        default="", description="Page that explains the error codes; an error's `type` becomes `<address>#<code>`."
    )

    @model_validator(mode="after")
    def _check_body_holds_question(self) -> Self:
        """A form sends a character of four bytes as twelve."""
        if self.max_body_bytes < 12 * self.max_question_chars:
            raise ValueError(
                f"max_body_bytes is {self.max_body_bytes}, too few for max_question_chars {self.max_question_chars}"
                f" (at least {12 * self.max_question_chars})"
            )
        return self

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        """A body that may arrive for longer than the whole request may take is a limit that never holds."""
        if self.body_timeout_s >= self.request_timeout_s:
            raise ValueError(
                f"body_timeout_s is {self.body_timeout_s:g}, not less than request_timeout_s {self.request_timeout_s:g}"
            )
        return self

    @model_validator(mode="after")
    def _check_waiting(self) -> Self:
        """Whoever waits behind many others is answered after the time limit, so never."""
        most = int(self.threads * self.request_timeout_s / _SLOW_ANSWER_S)
        if self.max_waiting > most:
            raise ValueError(
                f"max_waiting is {self.max_waiting}, more than threads {self.threads} can answer within "
                f"request_timeout_s {self.request_timeout_s:g} (at most {most})"
            )
        return self

    @model_validator(mode="after")
    def _check_engine_times(self) -> Self:
        """A question makes three calls; what Milvus may take longer than a request never shows."""
        if self.engine == "milvus" and self.milvus_timeout_s >= self.request_timeout_s:
            raise ValueError(
                f"milvus_timeout_s is {self.milvus_timeout_s:g}, not less than request_timeout_s "
                f"{self.request_timeout_s:g}"
            )
        return self

    @model_validator(mode="after")
    def _check_origins(self) -> Self:
        """Every site and some sites contradict each other."""
        if "*" in self.cors_origins and len(self.cors_origins) > 1:
            raise ValueError('cors_origins holds "*" and also single sites: keep one of the two')
        return self

    @model_validator(mode="after")
    def _check_tokens_are_apart(self) -> Self:
        """A token that may read alone can't be one that may do everything."""
        shared = {parse_token_hash(t).sha256 for t in self.admin_tokens} & {
            parse_token_hash(t).sha256 for t in self.read_tokens
        }
        if shared:
            raise ValueError("admin_tokens and read_tokens hold the same hash: a token is for one of the two")
        return self

    @model_validator(mode="after")
    def _check_gap_report_has_readers(self) -> Self:
        """Only who administers may read the report."""
        if self.gap_report and not self.admin_tokens:
            raise ValueError("gap_report is on and admin_tokens is empty: nobody could read the report")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing by itself: `load_settings` brings the sources together and knows which one is to blame."""
        return (init_settings,)
