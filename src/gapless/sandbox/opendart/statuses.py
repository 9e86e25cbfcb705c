"""The statuses of OpenDART, which come with HTTP status 200, and the bodies that tell them.

The notes confirm the wording of 000, 010 and 013; the others say the same as the official guide in our words.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

MESSAGES = {
    "000": "정상",
    "010": "등록되지 않은 키입니다.",
    "011": "사용할 수 없는 키입니다.",
    "012": "접근할 수 없는 IP입니다.",
    "013": "조회된 데이타가 없습니다.",
    "014": "파일이 존재하지 않습니다.",
    "020": "요청 제한을 초과하였습니다.",
    "021": "조회 가능한 회사 개수가 초과하였습니다.(최대 100건)",
    "100": "필드의 부적절한 값입니다.",
    "101": "부적절한 접근입니다.",
    "800": "시스템 점검으로 인한 서비스가 중지 중입니다.",
    "900": "정의되지 않은 오류가 발생하였습니다.",
    "901": "사용자 계정의 개인정보 보유기간이 만료되어 사용할 수 없는 키입니다.",
}


class Refused(Exception):
    """The request is answered with this status."""

    def __init__(self, status: str, message: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.message = message or MESSAGES.get(status, MESSAGES["900"])


@lru_cache(maxsize=256)
def error_body(status: str, message: str, *, xml: bool) -> bytes:
    """`{"status":"013","message":"…"}`, or the same as XML for what would have been a file."""
    if xml:
        told = f"<result><status>{status}</status><message>{message}</message></result>"
        return f'<?xml version="1.0" encoding="UTF-8"?>{told}'.encode()
    return msgspec.json.encode({"status": status, "message": message})
