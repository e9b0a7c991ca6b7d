#!/bin/sh
# Prepares a bare clone: dependencies with Node.js, Redis and MariaDB. Quick when nothing is missing.
#
#   sh tools/local/setup.sh start    what `npm start` needs: no store that REDIS_HOST or DB_HOST names
#   sh tools/local/setup.sh test     what `npm test` needs: both stores, always, a browser, and the tools of the client library
#   sh tools/local/setup.sh bench    what `npm run bench` needs: wrk as well
#
# ORDERSTREAM_STORE_DIRS: where to look for the stores besides PATH (process.ts looks there too).
set -eu
cd "$(dirname "$0")/../.."

needs=${1:-start}
case $needs in
  start | test | bench) ;;
  *) echo "usage: setup.sh start|test|bench" >&2; exit 2 ;;
esac

# /usr/sbin is missing from the PATH of ordinary users on Debian, Homebrew's directories from that of many programs.
brew_dirs=/opt/homebrew/bin:/usr/local/bin:/home/linuxbrew/.linuxbrew/bin
PATH=$PWD/node_modules/.bin:$PATH:${ORDERSTREAM_STORE_DIRS-/usr/sbin:/usr/local/sbin:$brew_dirs}

policy=/usr/sbin/policy-rc.d
policy_mark='# Orderstream set-up: no service starts while packages are being installed'
policy_written=
apt_log=

clean_up() {
  if [ -n "$apt_log" ]; then rm -f "$apt_log"; fi
  if [ -n "$policy_written" ]; then as_root rm -f "$policy"; fi
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

has() { command -v "$1" >/dev/null 2>&1; }
seconds_since() { echo "$(($(date +%s) - $1)) s"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_be_root() {
  [ "$(id -u)" -eq 0 ] || { has sudo && sudo -n true 2>/dev/null; }
}

node_is_new() {
  version=$(node -v 2>/dev/null) || return 1
  major=${version#v}
  [ "${major%%.*}" -ge 24 ]
}

# install_in FOLDER
install_in() {
  # npm writes this file last, so it marks a finished installation.
  installed=$1/node_modules/.package-lock.json
  if [ -f "$installed" ] && [ -z "$(find "$1/package-lock.json" -newer "$installed")" ]; then return; fi
  # npm ci empties that directory first, also the target of a link.
  if [ -L "$1/node_modules" ]; then
    echo "Set-up: $1/node_modules is a link to dependencies that may not be those of package-lock.json, and npm ci would" \
      "delete them there. Remove the link (rm $1/node_modules) and try again." >&2
    exit 1
  fi
  began=$(date +%s)
  echo "Set-up: dependencies from $1/package-lock.json (npm ci, at most half a minute) ..."
  # NODE_ENV=production would leave out the Node.js that runs all the rest.
  if ! (cd "$1" && npm ci --include=dev); then
    echo 'Set-up: npm ci failed; its output is above.' >&2
    exit 1
  fi
  echo "Set-up: dependencies are installed ($(seconds_since "$began"))"
}

install_dependencies() {
  install_in .
  # The client library has a TypeScript of its own, because the generator of its types needs version 5.
  if [ "$needs" = test ]; then install_in clients/typescript; fi
  if ! node_is_new; then
    echo "Set-up: Node.js 24 by way of the npm package 'node' (found $(node -v 2>/dev/null || echo none)) ..."
    npm rebuild node || true
    hash -r
    if ! node_is_new; then
      echo "Set-up: Node.js 24 or newer is missing, and the npm package 'node' did not install it (are npm's" \
        "install scripts turned off?). Install Node.js 24, or run: docker compose up --build" >&2
      exit 1
    fi
  fi
}

# A store that is too old counts as missing: otherwise the service fails later and less clearly.
redis_is_there() {
  for program in redis-server valkey-server; do
    if has "$program"; then
      major=$("$program" --version | sed -n 's/.*v=\([0-9]*\)\..*/\1/p')
      if [ "${major:-7}" -ge 7 ]; then return 0; fi
    fi
  done
  return 1
}
mariadb_is_there() {
  has mariadbd && has mariadb-install-db || return 1
  version=$(mariadbd --no-defaults --version | sed -n 's/.*Ver \([0-9]*\)\.\([0-9]*\)\..*/\1 * 100 + \2/p')
  [ "$((${version:-1006}))" -ge 1006 ]
}

# test/clients/browser.ts looks for the same programs.
browser_is_there() {
  for program in chromium chromium-browser google-chrome google-chrome-stable; do
    if has "$program"; then return 0; fi
  done
  [ -x /Applications/Chromium.app/Contents/MacOS/Chromium ] ||
    [ -x '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' ]
}

find_missing() {
  packages=
  missing=
  if [ "$needs" != start ] || [ -z "${REDIS_HOST-}" ]; then
    redis_is_there || { packages=redis-server; missing='Redis 7.0 or newer (redis-server)'; }
  fi
  if [ "$needs" != start ] || [ -z "${DB_HOST-}" ]; then
    mariadb_is_there || {
      packages="$packages mariadb-server"
      missing="${missing:+$missing and }MariaDB 10.6 or newer (mariadbd)"
    }
  fi
  if [ "$needs" = test ]; then
    browser_is_there || { packages="$packages chromium"; missing="${missing:+$missing and }Chromium"; }
  fi
  if [ "$needs" = bench ]; then
    has wrk || { packages="$packages wrk"; missing="${missing:+$missing and }wrk"; }
  fi
  packages=${packages# }
}

brew_packages() { echo "$packages" | sed 's/redis-server/redis/; s/mariadb-server/mariadb/'; }

give_up() {
  if has apt-get; then
    command="sudo apt-get update && sudo apt-get install $packages"
  elif has brew || [ "$(uname)" = Darwin ]; then
    command="brew install $(brew_packages)"
  else
    command="the system's package manager (Debian: sudo apt-get install $packages; macOS: brew install $(brew_packages))"
  fi
  cat >&2 <<MESSAGE
Set-up: missing: $missing$1. Two ways out:
  - install it:     $command
  - or use Docker:  docker compose up --build
MESSAGE
  exit 1
}

# The packages would start and enable system-wide services: Orderstream runs its own.
hold_services_back() {
  if [ -e "$policy" ] && ! grep -qsF "$policy_mark" "$policy"; then return; fi
  policy_written=yes
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}
leave_services_disabled() {
  if has systemctl; then
    for package in $packages; do
      case $package in
        redis-server) as_root systemctl disable redis-server.service ;;
        mariadb-server) as_root systemctl disable mariadb.service ;;
      esac
    done >/dev/null 2>&1 || true
  fi
}

install_with_apt() {
  began=$(date +%s)
  echo "Set-up: $packages (apt-get, about a minute) ..."
  apt_log=$(mktemp)
  hold_services_back
  # An unrelated package source may be broken: only the installation counts.
  as_root apt-get update >"$apt_log" 2>&1 || true
  # $packages is a list of words.
  # shellcheck disable=SC2086
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
    install -y --no-install-recommends $packages >>"$apt_log" 2>&1; then
    cat "$apt_log" >&2
    give_up ' (apt-get failed; its output is above)'
  fi
  leave_services_disabled
  echo "Set-up: $packages installed, as programs only: no system service started or enabled ($(seconds_since "$began"))"
}
install_with_brew() {
  began=$(date +%s)
  echo "Set-up: $(brew_packages) (brew install) ..."
  # shellcheck disable=SC2046
  brew install $(brew_packages) || give_up ' (brew failed; its output is above)'
  echo "Set-up: $(brew_packages) installed ($(seconds_since "$began"))"
}

install_dependencies
find_missing
if [ -n "$packages" ]; then
  if has apt-get && may_be_root; then
    install_with_apt
  elif has brew; then
    install_with_brew
  else
    give_up ''
  fi
  hash -r
  find_missing
  if [ -n "$packages" ]; then give_up ' (what the package manager installed is not new enough)'; fi
fi
