"""One step of the lake's work with the values of the settings; commands and assets both call it."""
