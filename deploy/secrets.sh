#!/bin/sh
# Passwords for docker-compose.yml, made here and kept in .env, which git and images ignore. What is there stays: the
# volumes know the old ones.
set -eu
umask 077
cd "$(dirname "$0")/.."
file=.env
touch "$file"
chmod 600 "$file"

random() { od -An -v -N "$1" -t x1 /dev/urandom | tr -d ' \n'; }

keep_or_make() {  # name, bytes
  if ! grep -q "^$1=." "$file"; then
    printf '%s=%s\n' "$1" "$(random "$2")" >> "$file"
    echo "$1: made"
  else
    echo "$1: kept"
  fi
}

# A last line without its end would swallow the first new one.
[ -z "$(tail -c 1 "$file")" ] || echo >> "$file"
keep_or_make POSTGRES_PASSWORD 24
keep_or_make CLICKHOUSE_PASSWORD 24
keep_or_make CLICKHOUSE_BI_PASSWORD 24
keep_or_make S3_ACCESS_KEY 10
keep_or_make S3_SECRET_KEY 20
echo "They are in $PWD/$file. Keep a copy: without them the volumes cannot be opened."
