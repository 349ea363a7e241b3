"""How a scene's holes are rebuilt: learned on the file itself or by a run, judged on what it shows, with the doubt."""
