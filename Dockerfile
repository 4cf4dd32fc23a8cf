# One image with the three daemons and sagactl. compose.yaml runs each by its name.
FROM golang:1.26-alpine AS build
WORKDIR /src
# The modules have a layer of their own, which lasts until go.mod or go.sum changes.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What `version` prints. The context has no .git to take it from.
ARG VERSION
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-X hosho/internal/version.stamped=$VERSION" -o /out/ \
	./orderd ./paymentd ./relay ./sagactl
# Where volumes are mounted that sagactl writes to: a new volume has the owner of the image's folder.
RUN mkdir -p /given/policy && cd /given && mkdir secrets && cd secrets && \
	mkdir orderd paymentd relay reader orders_migrator payments_migrator orders_reader payments_reader

# No shell and no package manager, and not root. `orderd healthcheck` needs none of them.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
COPY --from=build --chown=65532:65532 /given/ /
