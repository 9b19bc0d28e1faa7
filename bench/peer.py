"""The peer of http_load.py: what Sema replaces, written small.

FastAPI, uvicorn, CTranslate2 and SentencePiece; one translator for the process,
each request translated by itself, as the original service does it.

    uvicorn peer:app --port 8101        (MODEL names the folder, THREADS the intra_threads)
"""

import os
import time

import ctranslate2
import sentencepiece
from fastapi import FastAPI
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
THREADS = int(os.environ.get("THREADS", "2"))
WORKERS = int(os.environ.get("WORKERS", "1"))

app = FastAPI()
tokenizer = sentencepiece.SentencePieceProcessor(os.path.join(MODEL, "sentencepiece.bpe.model"))
translator = ctranslate2.Translator(MODEL, device="cpu", compute_type="int8", inter_threads=WORKERS, intra_threads=THREADS)


class Request(BaseModel):
    text: str
    source_language: str
    target_language: str


@app.get("/ready")
def ready():
    return {"status": "ready"}


@app.post("/translate")
def translate(r: Request):
    start = time.perf_counter()
    source = [r.source_language] + tokenizer.encode(r.text, out_type=str) + ["</s>"]
    result = translator.translate_batch([source], target_prefix=[[r.target_language]], beam_size=1, max_decoding_length=256)
    tokens = result[0].hypotheses[0][1:]
    return {"translated_text": tokenizer.decode(tokens), "tokens": len(tokens), "inference_time": time.perf_counter() - start}
