"""Where numbers can be kept: on which device, as which dtype."""

import torch

# None: torch's default.
Dtype = torch.dtype | None
Device = torch.device | str | int | None


def usable_device(device: Device) -> torch.device:
    """The device (None: torch's default), which must be there and hold numbers (torch's meta device holds none)."""
    try:
        number = torch.zeros((), device=device)
        number.item()
        return number.device
    except (AssertionError, ImportError, RuntimeError, TypeError) as error:  # torch's own, for what is not there
        why = str(error).partition(". ")[0]  # torch goes on for pages
        raise ValueError(f"device {device} can't be used: {why}") from error


def usable_dtype(dtype: Dtype) -> torch.dtype:
    """The dtype (None: torch's default), which must be one of floating-point numbers."""
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype must be one of torch's floating-point types, as torch.float32, got {dtype!r}")
    return dtype
