"""Ways of getting bytes from a vendor, none of them knowing a vendor: paged HTTP APIs, object stores."""
