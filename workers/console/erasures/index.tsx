import "../style/base.css";
import "../style/erasures.css";
import { mount } from "../shell/shell.tsx";
import { ErasuresPage } from "./erasures-page.tsx";

mount("erasures", ErasuresPage);
