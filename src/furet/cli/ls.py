"""`furet ls`: the models on this machine."""

from __future__ import annotations

from furet.cli import options
from furet.cli.terminal import emit_json, note, size, table


def ls(json: options.Json = False) -> None:
    """List the downloaded models: furet's own and every GGUF file in the Hugging Face cache.

    The first column is what the other verbs call the model. Nothing is downloaded or asked of the network.

    examples:
      furet ls
      furet ls --json
    """
    from furet.files import store

    aliases = {store.find(alias): alias for alias in store.ALIASES}
    models = sorted(store.installed(), key=lambda model: model.ref.lower())
    if json:
        emit_json(
            [
                {
                    "ref": model.ref,
                    "alias": aliases.get(model.path),
                    "path": str(model.path),
                    "files": len(model.files),
                    "bytes": model.bytes,
                    "source": model.source,
                    "modified": model.modified.isoformat(timespec="seconds"),
                }
                for model in models
            ]
        )
    elif not models:
        note("no models yet; `furet pull smollm2` downloads a small one (98 MB)")
    else:
        rows = [
            (
                aliases.get(model.path) or model.ref,
                size(model.bytes),
                f"{model.modified:%Y-%m-%d}",
                model.path,
            )
            for model in models
        ]
        print(table(rows, ("model", "size", "downloaded", "path"), right="lr"))
