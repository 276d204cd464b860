# Trains inside a container:  docker build -t scirs_neural .  &&  docker run --rm -v "$PWD/runs:/work/runs" scirs_neural model=resnet18
FROM python:3.12-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir "uv>=0.5"
# The packages change seldom and make the big layer; they come before the code.
COPY pins.txt /tmp/pins.txt
RUN /opt/venv/bin/uv pip install --python /opt/venv/bin/python --no-cache --require-hashes -r /tmp/pins.txt

FROM python:3.12-slim
RUN useradd --create-home --uid 1000 scirs
COPY --from=packages /opt/venv /opt/venv
COPY --chown=scirs:scirs pyproject.toml README.md /src/
COPY --chown=scirs:scirs scirs_neural /src/scirs_neural
COPY --chown=scirs:scirs configs /src/configs
RUN /opt/venv/bin/uv pip install --python /opt/venv/bin/python --no-cache --no-deps --no-build-isolation /src \
    && mkdir /work && chown scirs:scirs /work
USER 1000
WORKDIR /work
ENV PATH=/opt/venv/bin:$PATH
ENTRYPOINT ["python", "-m", "scirs_neural.train"]
CMD ["model=resnet50", "data=digits"]
