"""Scripts that measure zoobench itself; results/ has what they found, by date."""
