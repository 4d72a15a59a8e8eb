"""One judgement of cameras and bodies, made after every stage: good, poor and why, or refused and why."""
