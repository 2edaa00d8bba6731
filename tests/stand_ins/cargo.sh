#!/bin/sh
for word; do
  if [ "$last" = --target-dir ]; then target=$word; fi
  last=$word
done
folder=$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release
mkdir -p "$folder"
echo "$PWD $CUDAMARK_COMMIT $GIT_INDEX_FILE" >> "$BESIDE/builds"
test -e seconds || { echo 'error: no sources here' >&2; exit 101; }
if [ -e "$BESIDE/slow" ]; then sleep 600 & echo $! > "$BESIDE/slow"; wait; fi
sed "s/SECONDS/$(cat seconds)/; s/FLAGS/$RUSTFLAGS $(cat extra 2> /dev/null)/" "$BESIDE/script" > "$folder/cudamark"
chmod +x "$folder/cudamark"
if [ -e "$BESIDE/delay" ]; then sleep 0.5; fi
printf '{"reason":"compiler-artifact","package_id":"p","manifest_path":"/m","target":{"kind":["bin"],"crate_types":["bin"],"name":"cudamark","src_path":"/s","edition":"2024","doc":true,"doctest":false,"test":true},"profile":{"opt_level":"3","debuginfo":0,"debug_assertions":false,"overflow_checks":false,"test":false},"features":[],"filenames":[],"executable":"%s/cudamark","fresh":false}\n' "$folder"
