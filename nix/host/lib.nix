# The functions of nixpkgs' library that this project calls.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    listToAttrs
    map
    stringLength
    substring
    ;
in
rec {
  # Debian's musl and the wrapper around its gcc are used as amd64 has them.
  systems.flakeExposed = [ "x86_64-linux" ];

  genAttrs =
    names: f:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  concatMapStringsSep =
    separator: f: list:
    concatStringsSep separator (map f list);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      rest = stringLength text - stringLength suffix;
    in
    rest >= 0 && substring rest (stringLength suffix) text == suffix;
  removePrefix =
    prefix: text:
    if hasPrefix prefix text then
      substring (stringLength prefix) (stringLength text - stringLength prefix) text
    else
      text;
  nameValuePair = name: value: { inherit name value; };
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  filterAttrs =
    keep: set:
    genAttrs (filter (name: keep name set.${name}) (attrNames set)) (name: set.${name});
  concatStrings = concatStringsSep "";
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  optionalString = condition: text: if condition then text else "";
  optionalAttrs = condition: set: if condition then set else { };
  toUpper = builtins.replaceStrings (chars "abcdefghijklmnopqrstuvwxyz-") (
    chars "ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
  );
  chars = text: map (i: substring i 1 text) (builtins.genList (i: i) (stringLength text));
  inherit (builtins)
    any
    concatMap
    elem
    filter
    foldl'
    ;
}
