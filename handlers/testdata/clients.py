"""Drive the real clients of other translation services against a running Sema: python clients.py URL

Needs deepl==1.32.0 and libretranslatepy==2.1.4 from PyPI. Exits with an error if a client is not content.
"""
import sys

import deepl
from libretranslatepy import LibreTranslateAPI

url = sys.argv[1]

translator = deepl.DeepLClient("any-key", server_url=url)
one = translator.translate_text("Hello", target_lang="SW")
assert one.text and one.detected_source_lang == "EN", one
two = translator.translate_text(["Hello", "Good morning"], source_lang="EN", target_lang="FR")
assert len(two) == 2 and all(t.text for t in two), two
tagged = translator.translate_text("<p>Hello</p>", target_lang="SW", tag_handling="html")
assert tagged.text.startswith("<p>") and tagged.text.endswith("</p>"), tagged
assert translator.translate_text("Hello", source_lang="FR", target_lang="EN-US").text
assert any(language.code == "SW" for language in translator.get_source_languages())
targets = [language.code for language in translator.get_target_languages()]
assert "EN-GB" in targets and "EN" not in targets, targets
assert not translator.get_usage().any_limit_reached
try:
    translator.translate_text("Hello", target_lang="QQ")
    raise AssertionError("an unknown language was accepted")
except deepl.DeepLException as error:
    assert error.http_status_code == 400, error

libre = LibreTranslateAPI(url)
assert libre.translate("Hello", "en", "sw")
assert libre.translate("Hello", "auto", "fr")
found = libre.detect("Hello, how are you?")
assert found[0]["language"] == "en" and 0 < found[0]["confidence"] <= 100, found
languages = libre.languages()
assert {"en", "fr", "sw"} <= {language["code"] for language in languages}, languages
print("clients are content")
