"""How pictures of graphs are laid out and written."""
