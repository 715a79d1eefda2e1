{
  # nix build .#stellarrow                            the package
  # nix build .#dockerImages.stellar-arrow-source     an image with the older family's name; ttp-arrow-processor and so on
  # nix develop                                       Python, Rust and make for `make test`
  #
  # Only its syntax is tested (nix-instantiate --parse): where this project is built there is no nixpkgs. Nothing of it has been
  # built by us. Packages of Python that nixpkgs does not have (pgpq) are left out, which leaves PostgreSQL out of the image
  # until they are there.
  description = "Stellar ledgers to Apache Arrow, fast and exactly";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      lib = nixpkgs.lib;
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      version = (builtins.fromTOML (builtins.readFile ./Cargo.toml)).workspace.package.version;

      package = pkgs:
        let
          python = pkgs.python3Packages;
          known = names: builtins.filter (one: one != null) (map (name: python.${name} or null) names);
        in
        python.buildPythonPackage {
          pname = "stellarrow";
          inherit version;
          pyproject = true;
          src = self;
          cargoDeps = pkgs.rustPlatform.importCargoLock { lockFile = ./Cargo.lock; };
          nativeBuildInputs = [
            pkgs.rustPlatform.cargoSetupHook
            pkgs.rustPlatform.maturinBuildHook
            pkgs.cargo
            pkgs.rustc
            python.grpcio-tools
          ];
          preBuild = "python proto/build_backend.py";
          dependencies = known [
            "pyarrow" "click" "rich" "prometheus-client" "tenacity"
            "duckdb" "sqlglot" "obstore" "urllib3" "orjson" "pybase64" "pysocks"
            "grpcio" "protobuf" "grpcio-health-checking" "grpcio-reflection"
            "psycopg" "pgpq" "starlette" "uvicorn" "h11" "joserfc" "cryptography"
          ];
          pythonImportsCheck = [ "stellarrow" ];
          doCheck = false; # the tests start servers: make test
          meta = {
            description = "Stellar ledgers to Apache Arrow, fast and exactly";
            license = lib.licenses.asl20;
            mainProgram = "stellarrow";
          };
        };

      # What the older images were, by name; docs/from_the_older_family.md has the same table.
      commands = {
        stellarrow = [ ];
        stellar-arrow-source = [ "source" "serve" ];
        ttp-arrow-processor = [ "processor" "serve" ];
        contract-data-processor = [ "processor" "serve" ];
        postgresql-consumer = [ "sink" "postgres" "serve" ];
        arrow-analytics-sink = [ "analytics" "serve" ];
      };

      image = pkgs: name: command:
        pkgs.dockerTools.buildLayeredImage {
          inherit name;
          tag = version;
          contents = [ (pkgs.python3.withPackages (_: [ (package pkgs) ])) pkgs.cacert ];
          extraCommands = "mkdir -p -m 1777 tmp var/lib/stellarrow";
          config = {
            Entrypoint = [ "stellarrow" ];
            Cmd = command;
            User = "65532:65532";
            WorkingDir = "/var/lib/stellarrow";
            Volumes."/var/lib/stellarrow" = { };
            Env = [
              "HOME=/var/lib/stellarrow"
              "STATE_DIR=/var/lib/stellarrow/state"
              "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
            ];
            StopSignal = "SIGTERM";
          };
        };
    in
    {
      packages = forEach (pkgs: {
        default = package pkgs;
        stellarrow = package pkgs;
      });

      # Below legacyPackages, where sets may be nested; `nix build .#dockerImages.NAME` looks there, too.
      legacyPackages = forEach (pkgs: { dockerImages = lib.mapAttrs (image pkgs) commands; });

      apps = forEach (pkgs: {
        default = { type = "app"; program = lib.getExe (package pkgs); };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = [ pkgs.python3 pkgs.cargo pkgs.rustc pkgs.clippy pkgs.rustfmt pkgs.gnumake pkgs.go pkgs.postgresql ];
        };
      });
    };
}
