#!/usr/bin/env bash
# Checks a running Sema: deploy/validate.sh http://localhost:8000
set -u
url=${1:?usage: deploy/validate.sh URL}
failed=0

# check NAME STATUS PATTERN CURL-ARGUMENTS...
check() {
  local name=$1 status=$2 pattern=$3 answer code
  shift 3
  answer=$(curl -s --max-time 30 -w '\n%{http_code}' "$@") || { echo "FAIL $name: no answer"; failed=1; return; }
  code=${answer##*$'\n'}
  if [[ $code =~ ^$status$ ]] && grep -qE -- "$pattern" <<<"$answer"; then
    echo "ok   $name"
  else
    echo "FAIL $name: status $code, want $status with $pattern; got: ${answer:0:300}"
    failed=1
  fi
}

json=(-X POST -H 'Content-Type: application/json')
check translate 200 '"translated_text":"[^"]' "${json[@]}" -d '{"text":"Habari ya asubuhi","target_language":"eng_Latn"}' "$url/api/v1/translate"
check detect 200 '"detected_language":"[a-z]{3}_' "${json[@]}" -d '{"text":"Good morning, how are you today?"}' "$url/api/v1/detect-language"
check 'translate, no prefix' 200 '"translated_text"' "${json[@]}" -d '{"text":"Hello","source_language":"eng_Latn","target_language":"swh_Latn"}' "$url/translate"
check batch 200 '"succeeded":2' "${json[@]}" -d '{"texts":["Hello","Good morning"],"source_language":"eng_Latn","target_language":"swh_Latn"}' "$url/api/v1/translate/batch"
check stream 200 '^event: done' -N "${json[@]}" -d '{"text":"Hello. Good morning.","source_language":"eng_Latn","target_language":"swh_Latn"}' "$url/api/v1/translate/stream"
check live 200 '' "$url/live"
check ready 200 '' "$url/ready"
check health 200 '"status":"healthy"' "$url/health"
check languages 200 '"swh_Latn"' "$url/api/v1/languages"
check metrics '200' 'sema_requests_total' "$url/metrics"
check page 200 '<html' "$url/ui"
check documentation 200 '"openapi":"3.1' "$url/openapi.json"
check 'admin without a token' '40[14]' 'error_type' "$url/admin/models"
check 'unknown language' 422 'swh_Latn' "${json[@]}" -d '{"text":"Hello","target_language":"swahilli"}' "$url/api/v1/translate"
check 'empty text' 422 'empty_text' "${json[@]}" -d '{"text":"","target_language":"swh_Latn"}' "$url/api/v1/translate"
check 'malformed JSON' 400 'malformed_json' "${json[@]}" -d '{"text"' "$url/api/v1/translate"
check 'not JSON' 415 'error_type' -X POST -H 'Content-Type: text/plain' -d 'Hello' "$url/api/v1/translate"
check 'no such page' 404 'error_type' "$url/api/v1/nothing"
check 'request id' 200 '' -H 'X-Request-ID: 0b0f0c1e-6a57-4c5e-9a3c-2f6f1d1c7a10' "$url/status"
exit $failed
