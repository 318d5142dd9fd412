"""The bundled model `recall`: its text, its memory questions, and the recipe that trained it."""
