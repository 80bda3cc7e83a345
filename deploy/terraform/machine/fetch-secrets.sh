#!/bin/bash
# Puts secrets of Secret Manager into files in memory, for the container's user: fetch-secrets.sh PROJECT FOLDER NAME…
# https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
set -euo pipefail
umask 077
project=$1
folder=$2
shift 2
metadata=${METADATA_URL:-http://metadata.google.internal}
api=${SECRET_MANAGER_URL:-https://secretmanager.googleapis.com}
owner=${SECRETS_OWNER:-10001:10001}

# The value of a string in a JSON object; neither tokens nor base64 have anything escaped in them.
field() { tr -d '\n' | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
get() { curl --silent --show-error --fail --retry 5 --retry-connrefused --max-time 20 --header @- "$1"; }

token=$(get "$metadata/computeMetadata/v1/instance/service-accounts/default/token" <<<"Metadata-Flavor: Google" |
  field access_token)

mkdir -p "$folder"
chown "$owner" "$folder"
for name in "$@"; do
  get "$api/v1/projects/$project/secrets/$name/versions/latest:access" <<<"Authorization: Bearer $token" |
    field data | base64 --decode >"$folder/.new" || { echo "the secret $name cannot be read" >&2; exit 1; }
  test -s "$folder/.new" || { echo "the secret $name is empty" >&2; exit 1; }
  chown "$owner" "$folder/.new"
  mv "$folder/.new" "$folder/$name"
done

# While tokens are rotated there are two; Prometheus shows the first.
if test -f "$folder/PARLEY_METRICS_TOKENS"; then
  head -n 1 "$folder/PARLEY_METRICS_TOKENS" | cut -d , -f 1 | tr -d ' \n' >"$folder/.new"
  chown "$owner" "$folder/.new"
  mv "$folder/.new" "$folder/metrics-token"
fi
