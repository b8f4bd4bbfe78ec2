# The gateway image: a Python runtime, the pinned packages of requirements/gateway.txt, and our two packages. Nothing else:
# configuration and keys are mounted when it runs. Built by docker-compose.cloud.yml with the repository as its context.

# To pin by digest, pass --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
COPY requirements/gateway.txt /tmp/gateway.txt
# Every file is checked against its hash, and only wheels are taken, so that no package runs code of its own to install and
# no compiler is needed. The environment gets no pip: what is not in it when it is built never will be.
RUN python -m venv --without-pip /opt/gateway \
 && python -m pip --python /opt/gateway/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        -r /tmp/gateway.txt

FROM ${PYTHON_IMAGE}
# A fixed number, so that the host can let it read the keys (infra/env/cloud.env.example) through its group.
RUN groupadd --gid 10001 scout && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin scout
COPY --from=packages /opt/gateway /opt/gateway
COPY shared /app/shared
COPY gateway /app/gateway
# Where the database lies: a volume made here belongs to the account that writes it.
RUN install -d -o scout -g scout -m 0750 /var/lib/scout
# Compiled now, because the container has a read-only root and would compile again at every start.
RUN /opt/gateway/bin/python -m compileall -q /app /opt/gateway/lib
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "gateway", "serve"]
