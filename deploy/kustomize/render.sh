#!/bin/sh
# Write base/stellarrow.yaml from the chart, with the names of the older family's deployments: render.sh [HELM]
set -eu
cd "$(dirname "$0")"
{
    echo "# Rendered from deploy/helm/stellarrow by deploy/kustomize/render.sh: change the chart, not this file."
    "${1:-helm}" template stellarrow ../helm/stellarrow --values ../helm/stellarrow/ci/obsrvr-values.yaml
} > base/stellarrow.yaml
