# syntax=docker/dockerfile:1
# Build: docker build -t larder .
# Run:   docker run -p 8080:8080 -v larder-data:/var/lib/larder -v ./larder.toml:/var/lib/larder/larder.toml:ro larder
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY migrations ./migrations
COPY config ./config
# Cargo.toml names tests and benches. The binary does not need them, so empty files replace them.
RUN mkdir -p tests/it benches \
 && touch tests/it/main.rs \
 && for bench in $(sed -n 's/^path = "\(benches\/.*\)"/\1/p' Cargo.toml); do mkdir -p "$(dirname "$bench")"; echo 'fn main() {}' > "$bench"; done \
 && cargo build --release --locked --bin larder \
 && strip target/release/larder

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 larder \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/larder --create-home --shell /usr/sbin/nologin larder \
 && chmod 0700 /var/lib/larder
COPY --from=build /build/target/release/larder /usr/local/bin/larder
USER 10001:10001
WORKDIR /var/lib/larder
VOLUME /var/lib/larder
EXPOSE 8080
# Relative paths start at the configuration's directory, so that ./data is in the volume.
ENV LARDER_CONFIG=/var/lib/larder/larder.toml
# On SIGTERM the node first fails /readyz, then finishes the requests in flight, then ends.
STOPSIGNAL SIGTERM
# An unhealthy container may be killed, so the check is /livez. Load balancers check /readyz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["larder", "health", "--url", "http://127.0.0.1:8080/livez"]
ENTRYPOINT ["larder"]
CMD ["serve"]
