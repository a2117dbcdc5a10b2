"""What a browser sees. NiceGUI comes in here and nowhere else, when the pages are mounted."""
