"""The web pages: templates, stylesheet and scripts. Nothing on them comes from another origin."""
