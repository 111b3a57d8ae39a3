"""Networks that no library has, written here from their papers.

One dict: a network's name -> where its builder lives, resolved on use, so that listing the names
imports neither torch nor timm.
"""

ARCHITECTURES: dict[str, str] = {
    "dwnet_base": "zoo.architectures.dwnet:dwnet_base",
    "dwnet_tiny": "zoo.architectures.dwnet:dwnet_tiny",
    "focal_transformer_base": "zoo.architectures.focal_transformer:focal_transformer_base",
    "focal_transformer_small": "zoo.architectures.focal_transformer:focal_transformer_small",
    "focal_transformer_tiny": "zoo.architectures.focal_transformer:focal_transformer_tiny",
    "lenet5": "zoo.architectures.lenet:lenet5",
    "pvt_large": "zoo.architectures.pvt:pvt_large",
    "pvt_medium": "zoo.architectures.pvt:pvt_medium",
    "pvt_small": "zoo.architectures.pvt:pvt_small",
}
