# One image with the three daemons: orderd, paymentd, relay. compose.yaml runs each by its name.
FROM golang:1.26-alpine AS build
WORKDIR /src
# The modules have a layer of their own, which lasts until go.mod or go.sum changes.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./orderd ./paymentd ./relay

# No shell and no package manager, and not root. `orderd healthcheck` needs none of them.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
