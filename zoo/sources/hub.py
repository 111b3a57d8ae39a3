"""Files of the Hugging Face hub, from its cache or by its own client."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache

from zoo.errors import WeightsError, first_line

_TIMEOUT_S = 20


def hub_file(repository: str, names: Sequence[str], where: str) -> Path:
    """Return the first of the named files that the repository (``owner/name[@revision]``) has.

    The cache is asked first; the hub only for what is not there.

    Raises:
        WeightsError: neither the cache nor the hub has one; says where it was looked for.
    """
    repository, _, revision = repository.partition("@")
    for name in names:
        cached = try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    try:
        # One quick question first: the download itself retries a dead network for a minute.
        info = HfApi().model_info(repository, revision=revision or None, timeout=_TIMEOUT_S)
        present = {sibling.rfilename for sibling in info.siblings or ()}
        name = next(name for name in names if name in present)
        return Path(hf_hub_download(repository, name, revision=revision or None))
    except StopIteration:
        problem = "the repository has no such file"
    except Exception as error:  # the client's network errors have another base in each release
        problem = first_line(error)
    raise WeightsError(
        f"{where}: weights {' or '.join(names)} of {repository!r} cannot be had: not in the cache "
        f"{constants.HF_HUB_CACHE}, and the hub says: {problem}; on a machine with network access "
        f"run: hf download {repository} {names[0]}, and copy the cache here (HF_HOME names its "
        "folder), or use source 'checkpoint' with a local file"
    )
