"""Flow A: a notification becomes a response.  Mechanism only: knows neither policies nor launches."""
