# dockerTools.buildLayeredImage: a layer for each of `contents`, which refer to nothing outside
# themselves, and one with the root directory: links into them, and what fakeRootCommands make.
# The order of files is the alphabet's and their time 1970, so the bytes are always the same.
pkgs: {
  buildLayeredImage =
    {
      name,
      tag,
      contents,
      config,
      fakeRootCommands ? "",
    }:
    pkgs.runCommand "${name}.tar.gz"
      {
        inherit contents fakeRootCommands;
        config = builtins.toJSON config;
        passAsFile = [ "config" ];
        reference = "${name}:${tag}";
      }
      ''
        pack="tar --sort=name --mtime=@1 --numeric-owner"
        layers=() digests=()
        layer() {
          local digest
          digest=$(sha256sum < layer.tar | cut -d ' ' -f 1)
          mkdir "image/$digest"
          mv layer.tar "image/$digest/layer.tar"
          layers+=("\"$digest/layer.tar\"") digests+=("\"sha256:$digest\"")
        }
        join() { local IFS=,; printf %s "$*"; }

        mkdir image root
        for content in $contents; do
          # As in the store, with the two folders above it.
          $pack --owner=0 --group=0 --no-recursion -cf layer.tar -C / nix nix/store
          $pack --owner=0 --group=0 -rf layer.tar -C / "''${content#/}"
          layer
          cp -rs --no-preserve=mode "$content/." root/
        done
        cd root
        # In there files belong to whom it says, and to root; the sandbox has one user only.
        export pack FAKEROOTDONTTRYCHOWN=1
        fakeroot bash -euc "$fakeRootCommands"$'\n$pack -cf ../layer.tar .'
        cd ..
        layer

        printf '{"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:01Z","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' \
          "$(cat "$configPath")" "$(join "''${digests[@]}")" > config.json
        id=$(sha256sum < config.json | cut -d ' ' -f 1)
        mv config.json "image/$id.json"
        printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":[%s]}]' \
          "$id" "$reference" "$(join "''${layers[@]}")" > image/manifest.json
        $pack --owner=0 --group=0 -c -C image . | gzip -9n > $out
      '';
}
