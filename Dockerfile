# One static binary in an empty image: nothing to patch but Sema itself.
FROM docker.io/library/golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/sema . \
 && mkdir -p /out/data && cp /etc/ssl/certs/ca-certificates.crt /out/

FROM scratch
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/sema /sema
# The cache is the only folder that is written to.
COPY --from=build --chown=1000:1000 /out/data /data
USER 1000:1000
ENV HF_HOME=/data HOST=0.0.0.0 PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s --retries=3 CMD ["/sema", "healthcheck"]
ENTRYPOINT ["/sema"]
CMD ["serve"]
