# syntax=docker/dockerfile:1
#
#   docker build --target sidecar -t weir-sidecar .        beside each app: the proxy and its journal
#   docker build --target analytics -t weir-analytics .    everything: lake and SQL, too
#
# Builds with the profile `dist`; `--build-arg PROFILE=release` is quicker to build, and larger.

# Not the slim one: librdkafka and OpenSSL are built, too, which takes make, perl and python3.
FROM rust:1.95-bookworm AS source
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY queries queries
COPY src src
# An empty folder for the images to copy: they have no shell to make one.
RUN mkdir -p /out/data
ARG PROFILE=dist

# Both builds share what they have in common, so one waits for the other.
FROM source AS build-sidecar
RUN rustup component add llvm-tools
# What the build by counts needs: the script, the load, and texts for its prompts.
COPY packaging packaging
COPY benches/gateway benches/gateway
COPY docs/specs docs/specs
COPY README.md ./
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    if [ "$PROFILE" = dist ]; then packaging/slim.sh /out/weir; else \
    cargo build --locked --profile "$PROFILE" -p weir --no-default-features --features sidecar && \
    cp "target/$PROFILE/weir" /out/weir; fi

FROM source AS build-analytics
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --profile "$PROFILE" -p weir && \
    cp "target/$PROFILE/weir" /out/weir

# The C library, the usual root certificates and a user without rights, nothing else: no shell either.
FROM gcr.io/distroless/cc-debian12:nonroot AS base
ENV WEIR_DATA=/var/lib/weir
# Where the root certificates are: the OpenSSL that Kafka's client brings would look elsewhere.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/usr/local/bin/weir"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --start-interval=1s --retries=3 \
    CMD ["/usr/local/bin/weir", "health"]
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532

# It listens on 127.0.0.1:8080, for apps in the same pod. To listen elsewhere it needs a [[client_key]].
FROM base AS sidecar
COPY --from=build-sidecar /out/weir /usr/local/bin/weir
COPY --from=build-sidecar --chown=65532:65532 /out/data /var/lib/weir
VOLUME /var/lib/weir
EXPOSE 8080
CMD ["sidecar"]

FROM base AS analytics
# For whoever scrapes the metrics; nothing else is told there.
ENV WEIR_ANALYTICS__LISTEN=0.0.0.0:8081
COPY --from=build-analytics /out/weir /usr/local/bin/weir
COPY --from=build-analytics --chown=65532:65532 /out/data /var/lib/weir
VOLUME /var/lib/weir
EXPOSE 8081
CMD ["analytics"]
