"""For people who come from transformers: which of its arguments are none here, and what to do instead."""

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

GENERATE = {
    "inputs": "call it input_ids",
    "generation_config": "give those of its fields that are set as arguments",
    "past_key_values": "call it cache, and give what make_cache makes",
    "max_length": "max_new_tokens=max_length - input_ids.shape[1]",
    "min_length min_new_tokens": "leave eos_token_id out, and all max_new_tokens come",
    "stopping_criteria max_time stop_strings": "loop over minigpt.generate.steps, and break when you like",
    "logits_processor prefix_allowed_tokens_fn min_p top_h typical_p epsilon_cutoff eta_cutoff repetition_penalty "
    "no_repeat_ngram_size bad_words_ids forced_bos_token_id forced_eos_token_id suppress_tokens begin_suppress_tokens "
    "sequence_bias exponential_decay_length_penalty guidance_scale negative_prompt_ids negative_prompt_attention_mask "
    "watermarking_config": "give minigpt.generate.steps a `pick` of your own, which is handed the logits",
    "renormalize_logits remove_invalid_values": "leave it out: nothing spoils the logits",
    "penalty_alpha dola_layers": "leave it out: tokens are picked greedily, drawn, or searched for with beams",
    "num_beam_groups diversity_penalty "
    "constraints force_words_ids": "leave it out: beams take num_beams, length_penalty and early_stopping",
    "assistant_model assistant_tokenizer is_assistant num_assistant_tokens num_assistant_tokens_schedule "
    "assistant_confidence_threshold assistant_early_exit assistant_lookbehind target_lookbehind "
    "assistant_ensemble_weight prompt_lookup_num_tokens max_matching_ngram_size "
    "speculation_type use_mtp": "leave it out: guessing tokens ahead would only save time",
    "return_dict_in_generate": "leave it out: a tensor comes back; to keep the cache, make one and give it as cache",
    "output_scores output_logits": "minigpt.generate.steps yields the logits of each step",
    "output_attentions": "attention's weights are never stored; minigpt.attention.attend_as_matrices shows them",
    "output_hidden_states": "put a forward hook on a block, model.h[i] or model.layers[i]",
    "low_memory": "cache_implementation='offloaded'",
    "position_ids": "leave it out: positions follow from attention_mask",
    "inputs_embeds": "give input_ids: embeddings are not taken",
    "labels": "call the model itself, and F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())",
    "logits_to_keep": "leave it out: only those of the last token are computed",
    "token_type_ids": "leave it out: tokens have no types",
    "encoder_hidden_states encoder_attention_mask decoder_start_token_id encoder_repetition_penalty "
    "encoder_no_repeat_ngram_size": "leave it out: there is no encoder",
    "bos_token_id": "put it in front of input_ids yourself",
    "token_healing": "leave the prompt's last token off yourself",
    "tokenizer": "leave it out: only ids are handled",
    "custom_generate trust_remote_code": "leave it out: no code is ever loaded",
    "compile_config disable_compile": "compile=True compiles the step; without it nothing is compiled",
    "continuous_batching_config": "pad the prompts on the left, and give attention_mask",
    "synced_gpus": "leave it out: one process generates by itself",
    "_from_model_config transformers_version": "leave it out: it says where a config came from",
}
FORWARD = {
    "input_ids": "call it ids",
    "past_key_values": "call it cache, and give what make_cache makes",
    "use_cache": "give what make_cache(...) makes as cache; without one nothing is kept",
    "attention_mask": "give positions, with minigpt.attention.NEVER at padding; or generate, which takes the mask",
    "position_ids": "call it positions",
    "inputs_embeds": "give ids: embeddings are not taken",
    "token_type_ids": "leave it out: tokens have no types",
    "labels": "F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()), of the logits that come back",
    "logits_to_keep": "slice the logits that come back",
    "encoder_hidden_states encoder_attention_mask": "leave it out: there is no encoder",
    "output_attentions": "attention's weights are never stored; minigpt.attention.attend_as_matrices shows them",
    "output_hidden_states": "put a forward hook on a block, model.h[i] or model.layers[i]",
    "return_dict": "leave it out: the logits come back, as a tensor",
    "cache_position": "leave it out: the cache knows how many tokens it holds",
}
FROM_PRETRAINED = {
    "pretrained_model_name_or_path": "call it name",
    "torch_dtype": "call it dtype",
    "device_map": "device='cuda', or wherever the whole model should be",
    "max_memory offload_folder offload_buffers low_cpu_mem_usage "
    "tp_plan tp_size device_mesh distributed_config": "leave it out: the whole model is on one device",
    "attn_implementation use_kernels allow_all_kernels kernel_config "
    "fusion_config experts_implementation": "leave it out: attention is PyTorch's fused kernel",
    "quantization_config load_in_4bit load_in_8bit": "leave it out: only a cache can be quantized, by make_cache",
    "use_safetensors weights_only gguf_file variant disable_mmap": "leave it out: only model.safetensors is read",
    "cache_dir force_download revision token "
    "proxies tqdm_class": "give it to huggingface_hub.snapshot_download, and the folder that comes back as name",
    "local_files_only": "set HF_HUB_OFFLINE=1; a model in the local hub cache is then loaded without the network",
    "subfolder": "give that folder as name",
    "config": "leave it out: config.json says it; for random weights, GPT(GPTConfig(...))",
    "state_dict": "GPT(config).load_state_dict(state_dict)",
    "generation_config": "give those of its fields that are set to generate",
    "ignore_mismatched_sizes key_mapping output_loading_info": "leave it out: files that don't fit are refused",
    "adapter_kwargs adapter_name": "merge the adapter first: none is read",
    "trust_remote_code": "leave it out: no code is ever loaded",
}
MAKE_CACHE = {
    "max_batch_size": "call it batch_size",
    "offloading": "make_cache('offloaded', ...), or 'offloaded_static'",
    "offload_only_non_sliding": "leave it out: all layers are offloaded",
    "ddp_cache_data": "leave it out: the model fills a cache",
}
ARGUMENTS = {"generate": GENERATE, "forward": FORWARD, "from_pretrained": FROM_PRETRAINED, "make_cache": MAKE_CACHE}
INSTEAD = {
    function: {name: advice for names, advice in table.items() for name in names.split()}
    for function, table in ARGUMENTS.items()
}

P = ParamSpec("P")
R = TypeVar("R")


def speaks_transformers(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function: of arguments that it doesn't take, one TypeError says what to do instead."""
    taken = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        unknown = [name for name in kwargs if name not in taken]
        if unknown:
            raise TypeError("\n".join(refusal(function.__name__, name, taken) for name in unknown))
        return function(*args, **kwargs)

    return checked


def refusal(function: str, name: str, taken: list[str]) -> str:
    """What the error says of an argument that the function doesn't take."""
    instead = INSTEAD[function]
    said = f"{function}() got an unexpected keyword argument {name!r}"
    if name in instead:
        return f"{said}, known from transformers; instead: {instead[name]}"
    close = difflib.get_close_matches(name, [*taken, *instead], n=1)
    if close and close[0] in instead:
        return f"{said}. Did you mean {close[0]!r}, known from transformers? Instead: {instead[close[0]]}"
    return f"{said}. Did you mean {close[0]!r}?" if close else f"{said}; it takes {', '.join(taken)}"
