"""`python auto_lora.py` is `python -m auto_lora`; the package beside this file does the work."""

from auto_lora.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
