#!/bin/sh
# Makes the passwords that docker-compose.yml needs, in secrets/; those that exist are kept.
# Containers read the files under user ids of their own, so that the folder is closed and not the files.
set -eu
umask 022
mkdir -p secrets
chmod 700 secrets
cd secrets
for name in postgres_password ray_token; do
  test -s "$name" || od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' > "$name"
done
printf 'postgresql://formulary:%s@postgres/formulary' "$(cat postgres_password)" > database_url
echo "secrets/ holds the passwords of docker-compose.yml"
