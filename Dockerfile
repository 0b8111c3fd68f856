# AgentArea's image: the server with its plugins beside it, as a user without
# privileges, under an init that reaps what plugins and MCP servers leave behind.
# docs/operations.md says how to run it, and how to add Node or Python for MCP servers.

# The binaries are static, so the builder's Debian is not the image's concern.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY sdk/go.mod sdk/go.sum sdk/
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH GOFLAGS=-buildvcs=false make build VERSION="$VERSION" LDFLAGS="-s -w"

FROM debian:12.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tini \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 0 -m 0770 /var/lib/agentarea
COPY --from=build /src/bin/ /opt/agentarea/bin/
COPY plugins.hcl /etc/agentarea/plugins.hcl
ARG VERSION
LABEL org.opencontainers.image.title="AgentArea" \
      org.opencontainers.image.description="A self-hosted platform for AI agents" \
      org.opencontainers.image.source="https://github.com/agentarea/agentarea" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
ENV PATH=/opt/agentarea/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/agentarea \
    AGENTAREA_LISTEN=0.0.0.0:8000 \
    AGENTAREA_CONFIG=/etc/agentarea/plugins.hcl \
    AGENTAREA_DATA_DIR=/var/lib/agentarea \
    AGENTAREA_LOG_FORMAT=json
# Any other uid does, too, as long as the data folder is its own or it is of group 0.
USER 10001:10001
WORKDIR /var/lib/agentarea
VOLUME /var/lib/agentarea
EXPOSE 8000
STOPSIGNAL SIGTERM
# Checks liveness only, because a restart does not help while the database is unavailable.
HEALTHCHECK --interval=30s --timeout=12s --start-period=2m --retries=3 CMD ["agentarea", "health"]
ENTRYPOINT ["tini", "--", "agentarea"]
CMD ["serve"]
