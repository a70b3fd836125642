# docker build -t kapso-exporter .
# podman build --format docker -t kapso-exporter .    (the OCI format has no health check)

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies stay compiled in the cache mounts. Cargo goes by modification times, and a source file may be older
# than what another checkout left there: touched, ours are always compiled.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    find src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked \
    && cp target/release/kapso-exporter /usr/local/bin/

FROM docker.io/library/debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/kapso-exporter /usr/local/bin/kapso-exporter

USER 65532:65532
EXPOSE 10110

# The port is that of the environment variable, where one is set. The address given by a flag cannot be known here. A
# TLS port answers 400 to plain HTTP, which is a sign of life as well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["bash", "-c", "\
port=${KAPSO_EXPORTER_WEB_LISTEN_ADDRESS##*:}; \
exec 3<>/dev/tcp/127.0.0.1/${port:-10110} || exit 1; \
printf 'GET /-/healthy HTTP/1.0\\r\\n\\r\\n' >&3; \
read -rt 4 _ code _ <&3; [[ $code == 200 || $code == 400 ]]"]

ENTRYPOINT ["/usr/local/bin/kapso-exporter"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kapso-exporter" \
      org.opencontainers.image.description="Prometheus exporter for Kapso: workflow executions, handoffs, failures and durations of WhatsApp automations" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
