"""A real model, made into a folder that `from_pretrained` loads: from a GGUF file inside a package, or from the hub."""
