"""Acting for the target: what it asked for is done on its behalf.  Mechanism only; no policy is known here."""
