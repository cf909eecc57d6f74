# One image for every service: docker-compose.yml says which command runs.
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/formulary
ENV PATH=/opt/formulary/bin:$PATH
WORKDIR /source
COPY constraints.txt ./
# torch first: a resolver that sees a bare `torch` may fetch another build. For a build of torch without CUDA:
# docker compose build --build-arg PIP_EXTRA_INDEX_URL=…
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir -c constraints.txt torch==2.13.0
COPY pyproject.toml README.md LICENSE ./
COPY model model
COPY trainer trainer
COPY search search
COPY studies studies
COPY api api
RUN pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --home-dir /var/lib/formulary --create-home formulary \
    && install -d -o formulary -g formulary /var/lib/formulary/storage /var/lib/formulary/corpora
COPY --from=build /opt/formulary /opt/formulary
ENV PATH=/opt/formulary/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/formulary
USER 10001
