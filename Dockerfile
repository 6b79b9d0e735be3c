# Two images from one file. `serve` (the default) answers and has neither torch nor a reader of documents; `build` has
# everything and makes the index. They share a volume. compose.yaml says how they are run.
#
#   docker build -t citewell .                    the serving image
#   docker build -t citewell-build --target build --build-arg TORCH_ARGS="--index-url <CPU wheel index>" .
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# What both images have in common: a user who owns nothing but the index, and the starter library.
FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 citewell \
    && useradd --uid 10001 --gid citewell --no-create-home --home-dir /tmp --shell /usr/sbin/nologin citewell \
    && install -d -o citewell -g citewell -m 0750 /index \
    && install -d /etc/citewell
COPY corpus /library
# Bytecode is made when packages are installed; the root file system is read-only later.
ENV PATH=/opt/citewell/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    CITEWELL_INDEX_DIR=/index \
    CITEWELL_CORPUS=/library \
    CITEWELL_LEXICON=/library/lexicon.toml \
    CITEWELL_NOTICES=/library/notices.toml
# A citewell.toml mounted here is read.
WORKDIR /etc/citewell

# pip stays in a folder of its own and is in neither image's environment. Groups need pip 25.1.
FROM ${PYTHON_IMAGE} AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install "pip>=25.1" \
    && python3 -m venv --without-pip /opt/citewell
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./

FROM tools AS wheel
COPY ingest ingest
COPY index index
COPY service service
RUN /opt/tools/bin/pip wheel --no-deps --wheel-dir /wheels .

FROM tools AS serve-packages
RUN /opt/tools/bin/pip --python /opt/citewell install --group serve
COPY --from=wheel /wheels /wheels
RUN /opt/tools/bin/pip --python /opt/citewell install --no-deps /wheels/citewell-*.whl

FROM tools AS build-packages
# torch first: it is the largest and changes least. Without TORCH_ARGS the ordinary index gives the CUDA build.
ARG TORCH_ARGS=""
RUN /opt/tools/bin/pip --python /opt/citewell install torch==2.13.0 ${TORCH_ARGS}
COPY --from=wheel /wheels /wheels
RUN /opt/tools/bin/pip --python /opt/citewell install /wheels/citewell-*.whl

FROM base AS build
COPY --from=build-packages /opt/citewell /opt/citewell
USER 10001:10001
VOLUME /index
ENTRYPOINT ["citewell"]
CMD ["build"]

FROM base AS serve
COPY --from=serve-packages /opt/citewell /opt/citewell
# Inside of the container; what is published where is said when it is run.
ENV CITEWELL_HOST=0.0.0.0
USER 10001:10001
VOLUME /index
EXPOSE 8000
STOPSIGNAL SIGTERM
# Ready, not only alive: without an index the container is unhealthy and its log says how to build one.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python3", "-I", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]
ENTRYPOINT ["citewell"]
CMD ["serve"]
