"""The bundled model `recall`: its text, its memory questions, the exam that asks them, and its training."""
