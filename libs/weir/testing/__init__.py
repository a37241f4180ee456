"""What tests share: servers to start, packets to make. Nothing at run time imports it."""
