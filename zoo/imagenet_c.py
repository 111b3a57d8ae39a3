"""ImageNet-C's conditions, and the published errors by which its mean is normalised."""

KIND = "imagenet-c"
SEVERITIES = (1, 2, 3, 4, 5)

# AlexNet's top-1 error, the mean over the five severities, as a fraction: the normaliser of
# Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
# Perturbations" (ICLR 2019), as their repository hendrycks/robustness gives it.
ALEXNET_ERRORS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
# The 15 that the mean is made of.
CORRUPTIONS = tuple(ALEXNET_ERRORS)
# Published beside them for validation; no part of the mean.
EXTRA_CORRUPTIONS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
