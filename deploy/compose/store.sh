#!/bin/sh
# Creates the bucket and a user for each role, with the policies of ../policies. It may run again.
set -eu

mc alias set store http://store:9000 root "$STORE_ROOT_PASSWORD"
mc mb --ignore-existing store/larder
mc admin user add store publisher "$STORE_PUBLISHER_SECRET"
mc admin user add store replica "$STORE_REPLICA_SECRET"
for role in publisher replica; do
  mc admin policy create store "larder-$role" "/setup/policies/s3-$role.json"
  # To attach a policy a second time is an error.
  mc admin policy detach store "larder-$role" --user "$role" 2>/dev/null || true
  mc admin policy attach store "larder-$role" --user "$role"
done
