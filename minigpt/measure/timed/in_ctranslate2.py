"""CTranslate2, an inference engine in C++ (github.com/OpenNMT/CTranslate2), with the weights of a GPT of ours."""

import tempfile

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.config import GPTConfig


def generator(model):
    """Its Generator, on as many threads as torch has. Token i goes by the name "i", so it needs no tokenizer.

    Raises ValueError where it is not installed, or can't compute in the model's dtype here.
    """
    try:
        import ctranslate2
    except ImportError as error:
        raise ValueError("--peer ctranslate2 needs it installed: pip install ctranslate2") from error
    if not isinstance(model.config, GPTConfig):
        raise ValueError(f"--peer ctranslate2 takes a GPT's weights, got a {type(model.config).__name__}: leave it out")
    dtype, device = str(model.dtype).removeprefix("torch."), model.device.type
    known = ctranslate2.get_supported_compute_types(device)
    if dtype not in known:
        raise ValueError(f"ctranslate2 can't compute in {dtype} on this {device}, only in {', '.join(sorted(known))}")
    with tempfile.TemporaryDirectory() as folder:
        specification(model).save(folder)
        threads = {"inter_threads": 1, "intra_threads": torch.get_num_threads()}
        return ctranslate2.Generator(folder, device, compute_type=dtype, **threads)


@torch.no_grad()
def specification(model):
    """The model in CTranslate2's terms."""
    from ctranslate2.specs.common_spec import Activation
    from ctranslate2.specs.transformer_spec import TransformerDecoderModelSpec

    config = model.config
    spec = TransformerDecoderModelSpec.from_config(config.n_layer, config.n_head, activation=Activation.GELUTanh)
    spec.config.layer_norm_epsilon = config.layer_norm_epsilon
    spec.register_vocabulary([str(token) for token in range(config.vocab_size)])
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight, decoder.projection.weight = numbers(model.wte.weight), numbers(model.wte.weight)
    decoder.position_encodings.encodings = numbers(model.wpe.weight)
    fill_norm(decoder.layer_norm, model.ln_f)
    for theirs, block in zip(decoder.layer, model.h, strict=True):
        fill_norm(theirs.self_attention.layer_norm, block.ln_1)
        fill_linear(theirs.self_attention.linear[0], block.attn.c_attn)
        fill_linear(theirs.self_attention.linear[1], block.attn.c_proj)
        fill_norm(theirs.ffn.layer_norm, block.ln_2)
        fill_linear(theirs.ffn.linear_0, block.mlp.c_fc)
        fill_linear(theirs.ffn.linear_1, block.mlp.c_proj)
    spec.validate()
    spec.optimize()
    return spec


def fill_linear(theirs, layer) -> None:
    theirs.weight, theirs.bias = numbers(layer.weight), numbers(layer.bias)


def fill_norm(theirs, layer) -> None:
    theirs.gamma, theirs.beta = numbers(layer.weight), numbers(layer.bias)


def numbers(weights: Tensor):
    return weights.float().cpu().numpy()


def translated(generator, ids: Int[Tensor, "B T"], new_tokens: int, streamer) -> Int[Tensor, "B N"]:
    """The text that it goes on with, greedily. The prompt is fed at once."""
    streamer.put(ids)
    prompt = [[str(token) for token in row] for row in ids.tolist()]

    def on_token(result) -> bool:
        """Called for each row at each step."""
        if not result.batch_id:
            streamer.put(result.token_id)
        return False  # go on

    how = {"max_length": new_tokens, "min_length": new_tokens, "end_token": [], "include_prompt_in_result": False}
    results = generator.generate_batch(prompt, callback=on_token, **how)
    new = torch.tensor([result.sequences_ids[0] for result in results], device=ids.device)
    return torch.cat([ids, new], dim=1)
