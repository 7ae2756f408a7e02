"""How compiled functions are traced, differentiated, cached, called and saved."""
